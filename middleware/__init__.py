"""The sidecar: relay, probes, benchmark, store, metrics, admin. Everything here touches the world."""
