# One command for each chore. `make help` lists them.

.POSIX:
SHELL = /bin/sh

# How tests are run. `make test TEST='cargo nextest run'` works too where nextest is installed; it starts a cluster a test.
TEST = cargo test
DENY = 0.20.2
BOLERO = 0.13.5

.PHONY: help demo test lint bench fuzz docs setup setup-build setup-lint

help:
	@echo 'make demo    a generated country goes into the modular schema; needs nothing but Rust'
	@echo 'make test    every test, those with real servers included'
	@echo 'make lint    formatting, clippy, licences and advisories, no machine paths'
	@echo 'make bench   the race beside pgloader and others, each step beside COPY; checks beside Great Expectations and DuckDB'
	@echo 'make fuzz    every fuzz target for FUZZ_SECONDS (30) by coverage; FUZZ=NAME for one of them'
	@echo 'make docs    the book, into target/book'
	@echo 'make setup   what the tests need from the system (Debian, Ubuntu: installs it)'

# The demo never writes over what is there, so its folder goes first; it holds nothing but what the demo made.
demo: setup-build
	@rm -rf target/imis-demo
	@cargo run --profile demo -p imis-cli --bin imis -- demo --output target/imis-demo

test: setup
	@$(TEST) --workspace --all-features --no-fail-fast

lint: setup-build setup-lint
	@echo 'lint: formatting'
	@cargo fmt --all --check
	@echo 'lint: machine paths'
	@sh .ci/paths
	@echo 'lint: clippy'
	@cargo clippy --workspace --all-targets --all-features -- -D warnings
	@echo 'lint: licences, advisories, sources'
	@sh .ci/deny $(DENY)

bench: setup
	@cargo bench -p imis-cli --benches --no-fail-fast

# The targets are tests, whose corpus `make test` replays. What is found lies beside the corpus, in `crashes`.
FUZZ_SECONDS = 30
FUZZ = fuzz_
fuzz: setup-build
	@sh .ci/fuzz $(BOLERO) $(FUZZ_SECONDS) '$(FUZZ)'

docs:
	@if command -v mdbook >/dev/null 2>&1; then mdbook build docs; else \
	  echo 'The book needs mdBook: cargo install --locked mdbook, then make docs. The chapters are plain Markdown in docs/.' >&2; \
	  exit 1; fi

# A C compiler and OpenSSL, for whatever is built.
setup-build:
	@sh .ci/packages build

# The same and the programs that the tests start: PostgreSQL, an independent SQL Server client, Python for the backend.
setup:
	@sh .ci/packages build test

setup-lint:
	@cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1 || rustup component add rustfmt clippy
