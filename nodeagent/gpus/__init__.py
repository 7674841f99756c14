"""The hardware half of the agent: the driver, what is planned and done on each GPU, and which instances are ours."""
