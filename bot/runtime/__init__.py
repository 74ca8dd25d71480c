"""What carries a message through: dispatcher, parser, authority, posting, courier, ticker."""
