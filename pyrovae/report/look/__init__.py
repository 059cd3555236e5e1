"""What all figures and tables share: style, names, legends, captions, files."""
