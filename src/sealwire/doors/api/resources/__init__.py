"""One file per resource. Handlers translate between HTTP and custody; they decide nothing."""
