"""What is lent, and the rules that an application for it must keep."""
