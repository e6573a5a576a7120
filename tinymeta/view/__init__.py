"""What is shown: progress and tables in the terminal, figures, and how their files are written."""
