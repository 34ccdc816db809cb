"""What a command does from its settings to its outcome; the only room that may know all the others."""
