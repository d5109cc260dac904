"""What travels between processes of this machine, by whose words it is. Standard library only."""
