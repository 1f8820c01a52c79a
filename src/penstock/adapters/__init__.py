"""The ports, made real: AWS, PostgreSQL, OpenSearch. Each turns its client's errors into the two error roots."""
