"""Two services to compare with, written for the bench: FastAPI on uvicorn, the contract's four arms, a MariaDB.

`replaced` works as the contract describes the service that this project replaces, `in_memory` as a team that minds
speed would write it today. Neither takes feedback, runs an experiment, counts metrics or explains a score, which ours
does meanwhile: the comparison favours them.
"""
