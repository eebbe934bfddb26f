"""Login by OpenID Connect: claims to account, groups and roles."""
