"""What holds files: archives (zip, tar), and repositories of a Hub."""
