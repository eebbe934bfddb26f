# By VISA's role hub. Settings of your own go to the file that `visa_settings_file` names.
import json
import os

c = get_config()  # noqa: F821

# ---- Addresses. bind_url is what people open; the proxy listens behind the web server, which knows of TLS.
c.JupyterHub.hub_bind_url = "http://{{ visa_hub_address }}:{{ visa_hub_port }}"
c.JupyterHub.hub_connect_url = "http://{{ visa_hub_address }}:{{ visa_hub_port }}"
c.WatchedProxy.api_url = "http://127.0.0.1:{{ visa_proxy_api_port }}"

# ---- What must outlive a restart
c.JupyterHub.db_url = os.environ["VISA_DATABASE_URL"]
c.JupyterHub.cookie_secret_file = "/var/lib/visa/hub/cookie_secret"
c.VisaAuthenticator.uid_register = "/var/lib/visa/hub/uids.sqlite"
c.VisaSharing.events_file = "/var/log/visa/events.jsonl"

# ---- Login
c.VisaAuthenticator.client_id = {{ visa_client_id | to_json }}
c.VisaAuthenticator.oauth_callback_url = "{{ visa_url }}/hub/oauth_callback"
c.VisaAuthenticator.scope = {{ visa_scope | to_json }}
c.VisaAuthenticator.login_service = {{ visa_login_service | to_json }}
c.VisaAuthenticator.home_roots = {{ visa_home_roots | to_json }}
c.VisaAuthenticator.logout_of_provider = {{ visa_logout_of_provider | bool }}

# ---- Profiles and data
c.VisaSite.profiles_dir = "/etc/visa/profiles"
c.VisaSite.home_roots = {{ visa_home_roots | to_json }}
c.VisaSite.staging_dir = "/run/visa/staging"

# ---- Limits. JupyterHub's own on starts stay off: sessions that wait in a queue would count.
c.VisaSite.max_sessions = {{ visa_max_sessions | int }}
c.JupyterHub.named_server_limit_per_user = {{ visa_max_listed | int }}

# ---- Where sessions run
c.ContainerBackend.hub_id = {{ visa_hub_id | to_json }}
c.ContainerBackend.nodes = json.loads({{ visa_nodes | to_json | to_json }})
c.ContainerBackend.warm_memory = {{ visa_warm_memory | string | to_json }}
{% if groups['slurm_clients'] | default([]) %}
c.SlurmBackend.hub_id = {{ visa_hub_id | to_json }}
c.SlurmBackend.launcher = ["/usr/local/sbin/visa-slurm-launch"]
c.SlurmBackend.image_template = {{ visa_slurm_images | to_json }}
c.SlurmBackend.runtime = {{ visa_slurm_runtime | to_json }}
c.ClusterAccess.binds = ["/etc/slurm", "/run/munge"]
c.ClusterAccess.environment = {"SLURM_CONF": "/etc/slurm/slurm.conf"}
{% endif %}
{% if groups['libvirt_hosts'] | default([]) %}
c.VMSpawner.hub_id = {{ visa_hub_id | to_json }}
c.LibvirtProvider.memory = {{ visa_libvirt_memory | to_json }}
c.LibvirtProvider.cpus = {{ visa_libvirt_cpus | int }}
c.LibvirtProvider.network = {{ visa_libvirt_network | to_json }}
c.LibvirtProvider.dns = {{ visa_libvirt_dns | to_json }}
c.VisaSpawner.start_timeout = 600
{% endif %}

# ---- Metrics, for who has the token and may do nothing else
c.JupyterHub.services.append(
    {"name": "metrics", "api_token": os.environ["VISA_METRICS_TOKEN"], "display": False}
)
c.JupyterHub.load_roles.append(
    {"name": "metrics", "services": ["metrics"], "scopes": ["read:metrics"]}
)
