"""What a file probably is: one idea a file; `evalkit.readers.guess` puts them together."""
