"""Place: which operations run together, where every array lies, and the instructions that say so."""
