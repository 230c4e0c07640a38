"""What an attacker, a hostile upstream or a broken peer may send, over real sockets against a real daemon."""
