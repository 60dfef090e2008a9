"""The reference pages of the documentation, generated from what the program itself knows."""
