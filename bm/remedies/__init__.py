"""What heals a refusal: rows that read a vendor's words, and small functions that change a wire body."""
