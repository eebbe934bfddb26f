"""What hub and portal write of what they do: records in the journal, text elsewhere, secrets nowhere."""
