"""Everything that measures and makes: corpora, fitting, evaluation, training, benchmarks."""
