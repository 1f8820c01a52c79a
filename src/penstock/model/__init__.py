"""What Penstock talks about, as pure values: no boto3, no environment, no clock."""
