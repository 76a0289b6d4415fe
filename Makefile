# What there is to do here. `make` alone lists it.

CARGO ?= cargo

.DEFAULT_GOAL := help
.PHONY: help demo test test-release chaos bench check fmt build check-monitoring

help: ## List what there is
	@sed -n 's/^\([a-z-]*\):.*## /make \1\t/p' $(MAKEFILE_LIST) | expand -t 24

demo: ## Place real calls through a server of your own, without keys or configuration
	@scripts/setup.sh --for demo
	$(CARGO) build --release
	target/release/offhook demo

test: ## Run every test
	@scripts/setup.sh --for test
	@scripts/test.sh

test-release: ## Prove supervision in the release profile
	@scripts/setup.sh --for test
	$(CARGO) test --release --test any_actor_may_die --test release_profile

chaos: ## Break everything on purpose; writes chaos.html
	@scripts/setup.sh --for build
	$(CARGO) build --release
	target/release/offhook chaos report --out chaos.html

bench: ## Time the hot paths of a call, piece by piece (Criterion)
	@scripts/setup.sh --for build
	$(CARGO) bench --package offhook-core --package offhook-media --package offhook-transports \
		--bench conversation --bench slots --bench audio --bench messages

check: ## Format, lints, compilation: what to run before a commit
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings

fmt: ## Format the code
	$(CARGO) fmt --all

build: ## Build the release binary, target/release/offhook
	@scripts/setup.sh --for build
	$(CARGO) build --release

check-monitoring: ## Run dashboard, alerts and scrape against a server under load, with Debian's Prometheus
	@scripts/setup.sh --for build
	$(CARGO) build --release
	@scripts/check-monitoring.sh target/release/offhook
