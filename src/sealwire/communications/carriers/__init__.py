"""SIP trunks: where calls go out to and come in from."""
