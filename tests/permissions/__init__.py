"""Each permission of each role is taken out of a running stack, one at a time: which step fails without it?"""
