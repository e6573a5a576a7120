"""What tinymeta promises of files, folders and interruptions, tried: `python -m tests.trust` prints the table."""
