"""Networks: features in, embeddings out. Ours, and those of other projects written anew."""
