"""Networks of other projects, written anew: features in, embeddings out, for inference only."""
