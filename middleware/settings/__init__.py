"""The one place where configuration is defined, read and checked."""

from middleware.settings.loading import load_settings
from middleware.settings.relay import relay_config
from middleware.settings.schema import DeploymentSettings, Settings, default_data_dir

__all__ = ["DeploymentSettings", "Settings", "default_data_dir", "load_settings", "relay_config"]
