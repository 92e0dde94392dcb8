"""From the bytes of an exchange to a turn of a conversation: decoding, dialects, recognition, sampling. No I/O."""
