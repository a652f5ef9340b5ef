"""Every setting: its LOAN_ variable, its default and its meaning."""

import os
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from dotenv import find_dotenv
from flask.helpers import get_load_dotenv
from pydantic import Field, PositiveInt, StringConstraints, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from webapp.failures import InvalidSetting
from webapp.secret_files import (
    MIN_SECRET_LENGTH,
    PREFIX,
    SECRETS_DIR,
    kept_secret,
    make_secret,
    read_secret_files,
    variable,
)
from webapp.setting_types import Address, DatabaseUrl, Folder, YesOrNo, lower

ROOT = Path(__file__).parent.parent
VERSION: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

# Kubernetes and Docker links set variables that begin with LOAN_DESK_ for a service named
# loan-desk. The names in the last line could also be misspelled settings, so their values must
# match too.
_INJECTED = re.compile(
    r"LOAN_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|ENV_\w+)=.*"
    r"|LOAN_(\w+_)?PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?=.*"
    r"|LOAN_(\w+_)?(PORT=(tcp|udp|sctp)://|NAME=/).*",
    re.DOTALL,
)


class Config(BaseSettings):
    """The settings. `LOAN_BUNDLE` is the variable of `bundle`, and so on.

    A setting that is not passed to the class is read from its variable, from the file .env or
    from a file of the same name in the secrets folder; the first of these that has it applies.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        # The file that the flask commands read too, so that gunicorn has the same settings.
        env_file=find_dotenv(usecwd=True) if get_load_dotenv() else None,
        dotenv_filtering="match_prefix",
        frozen=True,
        validate_default=False,
    )

    instance: Path = Field(
        default=Path("instance"),
        description="Folder for the service's files, such as the SQLite database and the secret.",
    )
    database_url: DatabaseUrl = Field(
        default="",
        description="PostgreSQL as `postgresql://user:password@host/name`; "
        "empty: SQLite in the instance folder.",
        repr=False,
    )
    bundle: Path = Field(
        default=Path("models/consumer_credit"), description="Folder of the model that decides."
    )
    challenger: str = Field(
        default="",
        description="Candidate in the bundle, to score decisions in the background; empty: none.",
    )
    monitor: YesOrNo = Field(
        default=True,
        description="Watch beside the workers whether applications are still like the training "
        "data: `yes` or `no`.",
    )
    observation_days: Annotated[int, Field(ge=1, le=3650)] = Field(
        default=365,
        description="Days after a decision when the outcome of a loan should be known. "
        "Younger loans are not used to test the probabilities.",
    )
    review_days: Annotated[int, Field(ge=0, le=365)] = Field(
        default=7, description="Days after which the review of a decision is due."
    )
    retention_days: Annotated[int, Field(ge=0, le=36_500)] = Field(
        default=0,
        description="Days after a decision when its personal contents are to be erased by "
        "`flask erase --past-retention`; 0: they are kept.",
    )
    secret_key: Annotated[str, StringConstraints(min_length=MIN_SECRET_LENGTH)] = Field(
        default="",
        description=f"Key that signs sessions, {MIN_SECRET_LENGTH} characters or more; "
        "empty: made once and kept in the instance folder. All replicas need the same key.",
        repr=False,
    )
    secrets_dir: Path = Field(
        default=SECRETS_DIR,
        description="Folder of files that hold settings, such as `loan_secret_key`. "
        "A variable takes precedence.",
    )
    require_idempotency_key: YesOrNo = Field(
        default=False,
        description="`yes`: the API refuses a POST without the header `Idempotency-Key`.",
    )
    session_idle_minutes: Annotated[int, Field(ge=1, le=1440)] = Field(
        default=30, description="Minutes without a request after which a person is signed out."
    )
    session_hours: Annotated[int, Field(ge=1, le=168)] = Field(
        default=12, description="Hours after which a person must sign in again."
    )
    require_second_factor: YesOrNo = Field(
        default=False,
        description="`yes`: nobody may do anything before a second factor is set up.",
    )
    proxies: Annotated[int, Field(ge=0, le=9)] = Field(
        default=0,
        description="Reverse proxies in front, each of which adds its client to "
        "`X-Forwarded-For`. Sign-ins are limited by the address that is found there.",
    )
    https: YesOrNo = Field(
        default=False,
        description="`yes` if browsers use HTTPS: cookies are then sent only over HTTPS.",
    )
    language: Annotated[Literal["en", "fr"], lower] = Field(
        default="en", description="`en` or `fr`, if the browser asks for neither."
    )
    timezone: ZoneInfo = Field(
        default=ZoneInfo("Europe/Paris"),
        description="Time zone in which times are shown; they are stored in UTC.",
    )
    bank_name: str = Field(
        default="[LOAN_BANK_NAME]", description="Name of the bank, in letters to applicants."
    )
    bank_address: str = Field(
        default="[LOAN_BANK_ADDRESS]",
        description="Its address, in letters; `;` separates the lines.",
    )
    letter_contact: str = Field(
        default="[LOAN_LETTER_CONTACT]",
        description="Where applicants ask for a review, correct data and contest a decision, such "
        "as an office, its e-mail address and telephone; `;` separates the lines.",
    )
    letter_debt_advice: str = Field(
        default="[LOAN_LETTER_DEBT_ADVICE]",
        description="Debt-advice service that letters on refusals name, with its telephone.",
    )
    letter_register: str = Field(
        default="[LOAN_LETTER_REGISTER]",
        description="Name and address of the credit register, for products with a field whose "
        "`source` it is.",
    )
    letter_agency: str = Field(
        default="[LOAN_LETTER_AGENCY]",
        description="Federal agency of the notice in Regulation B, with its address; only for "
        "letters of the regime `us`.",
    )
    letter_regime: Annotated[Literal["", "eu", "us"], lower] = Field(
        default="",
        description="Wording of letters: `eu` (Directive 2023/2225) or `us` (Regulation B); "
        "empty: `us` for a product in USD, else `eu`.",
    )
    letter_templates: Folder = Field(
        default="",
        description="Folder of the bank’s own templates of letters; empty: those of Loan Desk.",
    )
    bind: Address = Field(default="127.0.0.1:5000", description="Address and port to serve on.")
    workers: PositiveInt = Field(default=2, description="Processes that answer requests.")
    threads: PositiveInt = Field(
        default=8,
        description="Requests that each process works on at once, apart from those to decide on "
        "connections that are kept.",
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], lower] = Field(
        default="info", description="`debug`, `info`, `warning` or `error`."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        # The library's own source only warns about a secret file that it cannot read.
        del file_secret_settings
        sources = (init_settings, env_settings, dotenv_settings)
        chosen = next((s["secrets_dir"] for s in (f() for f in sources) if "secrets_dir" in s), "")
        files = InitSettingsSource(settings_cls, read_secret_files(str(chosen).strip()))
        return *sources, files

    @model_validator(mode="before")
    @classmethod
    def _blank_is_default(cls, given: dict[str, Any]) -> dict[str, Any]:
        stripped = {k: v.strip() if isinstance(v, str) else v for k, v in given.items()}
        return {name: value for name, value in stripped.items() if value != ""}

    @classmethod
    def from_environment(cls) -> Self:
        """Read every setting, or raise one InvalidSetting that lists all invalid ones."""
        known = {variable(name) for name in cls.model_fields}
        unknown = sorted(
            name
            for name, value in os.environ.items()
            if name.upper().startswith(PREFIX)  # pydantic ignores the case
            and name not in known
            and not _INJECTED.fullmatch(f"{name}={value}")
        )
        lines = [f"{', '.join(unknown)}: no such setting"] if unknown else []
        try:
            config = cls()
        except ValidationError as error:
            lines = [*(_line(e) for e in error.errors()), *lines]
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidSetting(
                f"{cls.model_config['env_file']}: cannot be read: {error}"
            ) from None
        if lines:
            raise InvalidSetting("\n".join(lines))
        return config

    @property
    def database(self) -> str:
        """The URL of the database, with its driver, for SQLAlchemy."""
        if not self.database_url:
            return f"sqlite:///{self.sqlite_file}"
        return f"postgresql+psycopg://{self.database_url.partition('://')[2]}"

    @property
    def sqlite_file(self) -> Path:
        """The file of the database, if it is not on a server."""
        return self.instance.resolve() / "loan_desk.db"

    @property
    def kept(self) -> Path:
        """The folder that keeps a copy of every bundle that this instance has served."""
        return self.instance / "models"

    @property
    def demo_mark(self) -> Path:
        """The file that marks an instance whose decisions are invented."""
        return self.instance / "demo"

    def folder(self) -> Path:
        """Return the instance folder, and create it if it is missing."""
        try:
            self.instance.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidSetting(f"LOAN_INSTANCE: {self.instance}: {error.strerror}") from None
        return self.instance

    def secret(self) -> str:
        """Return the key that signs sessions; if none is set, the first call makes one."""
        if self.secret_key:
            return self.secret_key
        self.folder()
        file = self.secret_file
        if not file.exists():
            make_secret(file)  # not otherwise: a full disk must not stop a start that has a key
        return kept_secret(file)

    @property
    def secret_file(self) -> Path:
        return self.instance / "secret_key"


def _line(error: ErrorDetails) -> str:
    """Return one line that names the invalid setting and says what it is for."""
    name = str(error["loc"][0])
    field = Config.model_fields.get(name)
    if field is None:
        return f"{variable(name)}: no such setting"
    shown = repr(error["input"]) if field.repr else "this value"
    return f"{variable(name)}: {shown} cannot be used. {field.description}"


def check_challenger(name: str, *, there: Sequence[str]) -> None:
    """Refuse a challenger that is not among those of the bundle."""
    if name not in there:
        problem = f"no challenger {name!r} in the bundle" if name else "not set"
        names = ", ".join(there) or "none"
        raise InvalidSetting(f"{variable('challenger')}: {problem}. There are: {names}.")
