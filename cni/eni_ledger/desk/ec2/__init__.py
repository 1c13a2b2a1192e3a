"""EC2's view of the ledger: trunk interface associations and network interfaces, filters, pages, XML, and what the AWS
CLI prints of them.

Sources: the service model `ec2/2016-11-15` of botocore, the EC2 API reference, and the output of awscli 1.46 and 2.9.
"""
