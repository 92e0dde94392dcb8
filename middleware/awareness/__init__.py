"""What the application is told of its user's emotions: pure rules over stored estimates."""
