"""Room that is kept on the cluster for sessions of some plans: jobs of a service account that give way.

A process of nobody's becomes a person's only where root makes it so, and Slurm would go on accounting it as
the service account's. So what waits is room alone: a *seat*, a job of the plan's size that reads the image
into its node's memory, sleeps, and is cancelled when a session of the plan starts.
"""
