"""All network namespaces of the host, as the kernel shows them. pyroute2 lives here and nowhere else."""
