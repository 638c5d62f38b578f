"""The Wyoming protocol: the assistant's turns as streams, and its speech-to-text behind us."""
