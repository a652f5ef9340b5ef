"""Files that were uploaded and refused: what is wrong with their rows is kept for a day."""
