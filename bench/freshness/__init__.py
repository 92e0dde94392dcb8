"""How fresh a served estimate is: from the end of a turn to the stream's event and the pull's answer."""
