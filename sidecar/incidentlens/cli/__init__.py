"""The command line: a file a command. Answers go to stdout, everything else to stderr.

Exit status: 0 well, 1 found something wrong, 2 unusable arguments.
"""
