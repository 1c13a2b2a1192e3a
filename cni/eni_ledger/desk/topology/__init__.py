"""The picture of a host: instance, trunks, branches, namespaces, containers, from the ledger, in six forms."""
