"""What a restructuring must not change: figures, payloads, words, files on disk."""
