"""The verbs of the data half: options in, one call into the code that does the work, text out."""
