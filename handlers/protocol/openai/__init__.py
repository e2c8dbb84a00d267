"""OpenAI's HTTP API: its requests as those of a task, and a task's answers in its form."""
