"""Django settings. Everything that differs between machines is read from the environment by config.env."""

import os
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from config.env import env_bool, env_int, env_list, env_secret, env_str

# One address for each database role; a process is given only those that it uses.
_ROLE_URLS = (
    "DATABASE_URL",
    "AUDITOR_DATABASE_URL",
    "SEQUENCER_DATABASE_URL",
    "SIGNER_DATABASE_URL",
    "ARCHIVER_DATABASE_URL",
    "MIGRATION_DATABASE_URL",
)
if not any(name in os.environ or f"{name}_FILE" in os.environ for name in _ROLE_URLS):
    from config.embedded import environment_for_settings

    environment_for_settings()


def _role_url(name: str) -> str:
    """Give a role's database address, or nothing where this process was not given one."""
    return env_secret(name) if name in os.environ or f"{name}_FILE" in os.environ else ""


BASE_DIR = Path(__file__).resolve().parent.parent

# --- Identity -------------------------------------------------------------------------------------------------------
NOTARY_INSTANCE = env_str("NOTARY_INSTANCE")
NOTARY_HOME = Path(env_str("NOTARY_HOME"))
PUBLIC_URL = env_str("PUBLIC_URL")
SIGNER_URL = env_str("SIGNER_URL")
ANCHORS = env_list("ANCHORS", default=[])
KEYS_DIR = NOTARY_HOME / "keys"
# Where the signer has its own copy of the logs' key files, if it does not read KEYS_DIR itself.
KEYS_SIGNER = env_str("KEYS_SIGNER", default="")
# Addresses of a log's keys, the oldest first; without any they are files in KEYS_DIR.
LOG_KEYS = {"lineage": env_list("LINEAGE_KEY", default=[]), "access": env_list("ACCESS_KEY", default=[])}
PKCS11_PIN = env_secret("PKCS11_PIN") if any(map(os.environ.get, ("PKCS11_PIN", "PKCS11_PIN_FILE"))) else ""

# --- Secrets --------------------------------------------------------------------------------------------------------
# The sequencer and the signer serve nobody and are given none of these.
_SERVES_PEOPLE = any(
    name in os.environ or f"{name}_FILE" in os.environ for name in ("DATABASE_URL", "MIGRATION_DATABASE_URL")
)
SECRET_KEY = env_secret("SECRET_KEY") if _SERVES_PEOPLE else ""
TOKEN_PEPPER = env_secret("TOKEN_PEPPER") if _SERVES_PEOPLE else ""
# What wrapped persons' keys before the key file did; read by the migration that takes them over, then to be removed.
SUBJECT_KEK = env_secret("SUBJECT_KEK") if any(map(os.environ.get, ("SUBJECT_KEK", "SUBJECT_KEK_FILE"))) else ""
# In a folder of its own, so that it can be replaced whole under processes that share the folder.
SUBJECT_KEYS_FILE = NOTARY_HOME / "subject-keys" / "subject.kek"

# --- Passkeys -------------------------------------------------------------------------------------------------------
# For which domain passkeys are made, and which pages may ask for them (W3C Web Authentication, §5.1.2).
PASSKEY_RP_ID = env_str("PASSKEY_RP_ID", default=urlsplit(PUBLIC_URL).hostname or "")
PASSKEY_ORIGINS = env_list("PASSKEY_ORIGINS", default=[PUBLIC_URL])

# --- HTTP -----------------------------------------------------------------------------------------------------------
DEBUG = env_bool("DEBUG", default=False)
ALLOWED_HOSTS = env_list("ALLOWED_HOSTS")
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
_TLS = PUBLIC_URL.startswith("https://")
SESSION_COOKIE_SECURE = _TLS
CSRF_COOKIE_SECURE = _TLS
SESSION_COOKIE_AGE = 8 * 3600
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
SECURE_HSTS_SECONDS = 31_536_000 if _TLS else 0
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
UPLOAD_LIMIT_BYTES = env_int("UPLOAD_LIMIT_BYTES", default=2 * 1024**3)
DATA_UPLOAD_MAX_MEMORY_SIZE = 4 * 1024 * 1024

INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "audit",
    "governance",
    "explain",
    "reports",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "config.api.FrozenLogMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "governance.admin.overrides.overrides_banner",
            ],
        },
    },
]


# --- Stores ---------------------------------------------------------------------------------------------------------
def _database(url: str) -> dict[str, Any]:
    """Give Django's form of a postgresql:// address; without one every query fails with a clear error."""
    if not url:
        return {"ENGINE": "django.db.backends.dummy"}
    parts = urlsplit(url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": parts.port or 5432,
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
    }


# Migrations run as the owner of the tables, everything else as a role that owns nothing.
_MIGRATING = env_str("DJANGO_DATABASE_ROLE", default="app") == "migrator"
ROLE_DATABASE_URLS = {name: _role_url(name) for name in _ROLE_URLS}
DATABASES = {
    "default": _database(ROLE_DATABASE_URLS["MIGRATION_DATABASE_URL" if _MIGRATING else "DATABASE_URL"]),
    "auditor": _database(ROLE_DATABASE_URLS["AUDITOR_DATABASE_URL"]),
}
DATABASE_ROUTERS = ["audit.routers.LedgerRouter"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

STORAGES = {
    "default": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": NOTARY_HOME / "files"},
    },
    "artifacts": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": NOTARY_HOME / "artifacts", "file_permissions_mode": 0o600},
    },
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True

# --- People ---------------------------------------------------------------------------------------------------------
AUTH_USER_MODEL = "governance.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "admin:login"

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True

# --- API ------------------------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["governance.api.authentication.TokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["governance.api.permissions.HasScope"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["governance.api.parsers.StrictJsonParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "config.api.problem_response",
    "UNAUTHENTICATED_USER": None,
    "DATETIME_FORMAT": "%Y-%m-%dT%H:%M:%S.%fZ",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Model Notary API",
    "DESCRIPTION": "Register models and data, deposit evidence, ask the gate, and read proofs from the ledger.",
    "VERSION": "1.0.0",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "APPEND_COMPONENTS": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    "SECURITY": [{"token": []}],
    "ENUM_NAME_OVERRIDES": {
        "RoleEnum": "governance.enums.Role",
        "JobTypeEnum": "governance.enums.JobType",
        "JobStateEnum": "governance.enums.JobState",
        "DecisionStateEnum": "governance.enums.DecisionState",
        "DecisionStandingEnum": "governance.enums.DecisionStanding",
        "AttachmentKindEnum": "governance.enums.AttachmentKind",
        "DiscrepancyKindEnum": "governance.enums.DiscrepancyKind",
        "DraftStateEnum": "governance.enums.DraftState",
        "HumanActionEnum": "governance.enums.HumanAction",
        "PurposeEnum": "governance.enums.Purpose",
        "EndingKindEnum": "governance.enums.EndingKind",
        "FindingKindEnum": "governance.enums.FindingKind",
        "FindingStateEnum": "governance.enums.FindingState",
        "FindingSeverityEnum": "governance.enums.Severity",
        "FindingSubjectKindEnum": "governance.enums.SubjectKind",
        "ExceptionStepEnum": "governance.enums.ExceptionStep",
        "OverrideStepEnum": "governance.enums.OverrideStep",
        "ApprovalStateEnum": "governance.enums.ApprovalState",
        "LineageKindEnum": "governance.enums.LineageKind",
        "LineageRoleEnum": "governance.enums.LineageRole",
        "LineageTrustEnum": "governance.enums.Trust",
        "SourceTrustEnum": "governance.api.control_serializers.SOURCE_TRUST",
        "AssessmentKindEnum": "explain.api.serializers.ASSESSMENT_KINDS",
        "DocumentKindEnum": "reports.enums.DocumentKind",
    },
}

# --- Jobs -----------------------------------------------------------------------------------------------------------
CELERY_BROKER_URL = env_secret("BROKER_URL") if _SERVES_PEOPLE else ""
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_TIME_LIMIT = 3600
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_ROUTES = {
    "audit.tasks.*": {"queue": "connectors"},
    "explain.tasks.*": {"queue": "compute"},
    "reports.tasks.*": {"queue": "reports"},
}
CELERY_BEAT_SCHEDULE = {
    "rescue stalled jobs": {"task": "governance.tasks.jobs_rescue", "schedule": 5.0},
    "expire decisions": {"task": "governance.tasks.decisions_run_out", "schedule": 60.0, "options": {"expires": 60}},
    "watch": {"task": "governance.tasks.findings_look", "schedule": 60.0, "options": {"expires": 60}},
    # One that waited for a whole beat has been overtaken by the next.
    "publish checkpoints": {"task": "audit.tasks.anchors_publish", "schedule": 60.0, "options": {"expires": 60}},
    "tell the chain": {"task": "audit.tasks.chain_heads_tell", "schedule": 60.0, "options": {"expires": 60}},
}
ANCHOR_LAG_SECONDS = env_int("ANCHOR_LAG_SECONDS", default=3600)
JOB_HEARTBEAT_SECONDS = 2.0
JOB_STALLED_AFTER_SECONDS = 15.0

# --- Admin ----------------------------------------------------------------------------------------------------------
UNFOLD = {
    "SITE_TITLE": "Model Notary",
    "SITE_HEADER": "Model Notary",
    "SITE_SUBHEADER": "Model governance and audit",
    "SITE_SYMBOL": "verified_user",
    "SITE_URL": None,
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "ENVIRONMENT": "config.admin.environment",
    "DASHBOARD_CALLBACK": "governance.admin.dashboard.dashboard",
    "SIDEBAR": {"navigation": "config.admin.menu"},
    "STYLES": ["config.admin.stylesheet"],
    "SCRIPTS": ["config.admin.script"],
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": "config.admin.favicon"}],
    "COLORS": {
        "primary": {  # from teal to navy
            "50": "oklch(97.7% .011 215)",
            "100": "oklch(94.8% .024 215)",
            "200": "oklch(89.5% .045 217)",
            "300": "oklch(82% .07 219)",
            "400": "oklch(73% .09 222)",
            "500": "oklch(61% .092 226)",
            "600": "oklch(50.5% .085 231)",
            "700": "oklch(42% .076 236)",
            "800": "oklch(35.5% .066 241)",
            "900": "oklch(30% .056 246)",
            "950": "oklch(22.5% .044 250)",
        },
    },
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    # It tells each minute where it found its credentials.
    "loggers": {"botocore": {"level": "WARNING"}},
}
