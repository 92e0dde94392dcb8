"""How well the judge is kept from being steered, and personal data from a judge, on corpora with a sealed half."""
