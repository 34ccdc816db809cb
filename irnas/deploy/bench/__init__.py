"""What ``irnas bench`` is made of: subjects, timed in turn; the rivals; what the machine could do at best."""
