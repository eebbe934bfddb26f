"""`visa doctor`: looks at an installation from the hub's machine, and says what is wrong and how to mend it."""
