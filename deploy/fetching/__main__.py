import typer

from deploy.fetching.command import command

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
app.command()(command)

if __name__ == "__main__":
    app()
