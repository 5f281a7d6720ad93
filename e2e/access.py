"""The services of AWS that give out credentials, as small servers in the test that can be told to refuse."""

import datetime
import hashlib
import http.server
import json
import secrets
import shlex
import sys
import threading
import urllib.parse
from xml.sax.saxutils import escape

from emulator import Credentials

RIGHT, EXPIRED, REFUSED, ABSENT = "right", "expired", "refused", "absent"


def moment(hours):
    """A time so many hours from now."""
    return datetime.datetime.now(datetime.UTC).replace(microsecond=0) + datetime.timedelta(hours=hours)


def text(time):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def temporary_credentials(name):
    """Made up anew, so that they are found wherever they do not belong."""
    return Credentials(f"ASIA{name.upper()}", f"secret-{secrets.token_hex(16)}", f"token-{secrets.token_hex(32)}")


class Access(http.server.ThreadingHTTPServer):
    """Instance metadata (IMDSv2), container credentials, IAM Identity Center and STS on one free loopback port.

    All of them give out `credentials`: in mode `RIGHT` valid for an hour, in mode `EXPIRED` expired an hour ago or
    refused as too late; in mode `REFUSED` access is denied, in mode `ABSENT` nothing is there.
    """

    daemon_threads = True
    # What a caller has to show.
    authorization = "container-authorization"
    web_identity = "web-identity-token"
    second_factor = "123456"
    refresh_token = "refresh-token"
    access_token = "portal-access-token"

    def __init__(self, name):
        super().__init__(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server_address[1]}"
        self.credentials = temporary_credentials(name)
        self.mode = RIGHT
        self.asked = []
        self.metadata_token = secrets.token_hex(16)
        # Renewed by OIDC's CreateToken.
        self.access_tokens = {self.access_token}
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        self.thread.start()

    def close(self):
        self.shutdown()
        self.server_close()

    def expiration(self):
        return moment(-1 if self.mode == EXPIRED else 1)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):  # the names are http.server's
        self.answer("GET")

    def do_PUT(self):
        self.answer("PUT")

    def do_POST(self):
        self.answer("POST")

    def answer(self, method):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        self.server.asked.append((method, url.path))
        match method, url.path:
            case "PUT", "/latest/api/token":
                self.metadata_token()
            case "GET", path if path.startswith("/latest/meta-data/"):
                self.metadata(path.removeprefix("/latest/meta-data/"))
            case "GET", "/container":
                self.container()
            case "GET", "/federation/credentials":
                self.portal(query)
            case "POST", "/token":
                self.create_token(json.loads(body))
            case "POST", "/":
                self.security_token_service(dict(urllib.parse.parse_qsl(body.decode())))
            case _:
                self.send(404, "not found")

    def log_message(self, *arguments):
        pass

    def send(self, status, body, kind="text/plain", **headers):
        body = body if isinstance(body, bytes) else body.encode()
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def send_json(self, status, body, **headers):
        self.send(status, json.dumps(body), "application/json", **headers)

    # Instance metadata, version 2.

    def metadata_token(self):
        if self.server.mode == REFUSED:  # switched off for this instance
            return self.send(403, "")
        if "X-aws-ec2-metadata-token-ttl-seconds" not in self.headers:
            return self.send(400, "no time to live")
        return self.send(200, self.server.metadata_token, X_aws_ec2_metadata_token_ttl_seconds="21600")

    def metadata(self, path):
        if self.headers.get("X-aws-ec2-metadata-token") != self.server.metadata_token:
            return self.send(401, "unauthorized")
        if path == "placement/region":
            return self.send(200, "us-east-1")
        roles, _, role = path.partition("iam/security-credentials/")
        if roles or self.server.mode == ABSENT:  # an instance without a role
            return self.send(404, "not found")
        if not role:
            return self.send(200, "the-role")
        return self.send_json(
            200, {"Code": "Success", "Type": "AWS-HMAC", "LastUpdated": text(moment(-2)), **self.keys()}
        )

    def keys(self):
        known = self.server.credentials
        return {
            "AccessKeyId": known.access_key_id,
            "SecretAccessKey": known.secret_access_key,
            "Token": known.session_token,
            "Expiration": text(self.server.expiration()),
        }

    # Containers.

    def container(self):
        if self.server.mode == ABSENT:
            return self.send_json(404, {"code": "NoSuchCredentials", "message": "no credentials for this task"})
        if self.server.mode == REFUSED or self.headers.get("Authorization") != self.server.authorization:
            return self.send_json(403, {"code": "AccessDeniedException", "message": "this pod may not"})
        return self.send_json(200, self.keys())

    # IAM Identity Center.

    def portal(self, query):
        if self.headers.get("x-amz-sso_bearer_token") not in self.server.access_tokens or self.server.mode == EXPIRED:
            return self.refuse(401, "UnauthorizedException", "Session token not found or invalid")
        if self.server.mode == REFUSED:
            return self.refuse(403, "ForbiddenException", "No access")
        if query != {"role_name": "Operator", "account_id": "123456789012"} or self.server.mode == ABSENT:
            return self.refuse(404, "ResourceNotFoundException", "No such role")
        known = self.server.credentials
        keys = {
            "accessKeyId": known.access_key_id,
            "secretAccessKey": known.secret_access_key,
            "sessionToken": known.session_token,
            "expiration": int(self.server.expiration().timestamp() * 1000),
        }
        return self.send_json(200, {"roleCredentials": keys})

    def create_token(self, request):
        if self.server.mode != RIGHT or request.get("refreshToken") != self.server.refresh_token:
            return self.refuse(
                400,
                "InvalidGrantException",
                "",
                error="invalid_grant",
                error_description="Invalid refresh token provided",
            )
        token = secrets.token_hex(16)
        self.server.access_tokens = {token}
        return self.send_json(200, {"accessToken": token, "expiresIn": 3600, "tokenType": "Bearer"})

    def refuse(self, status, code, message, **more):
        self.send_json(status, {"__type": code, "message": message, **more}, x_amzn_ErrorType=code)

    # STS.

    def security_token_service(self, request):
        operation = request.get("Action")
        if operation == "AssumeRoleWithWebIdentity" and request.get("WebIdentityToken") != self.server.web_identity:
            return self.fault(400, "InvalidIdentityToken", "No OpenIDConnect provider found in your account")
        if "SerialNumber" in request and request.get("TokenCode") != self.server.second_factor:
            return self.fault(
                403, "AccessDenied", "MultiFactorAuthentication failed with invalid MFA one time pass code."
            )
        if self.server.mode == EXPIRED:
            return self.fault(400, "ExpiredTokenException", "The security token included in the request is expired")
        if self.server.mode == REFUSED or operation not in ("AssumeRoleWithWebIdentity", "AssumeRole"):
            return self.fault(403, "AccessDenied", self.denial(operation, request))
        known = self.server.credentials
        return self.xml(
            200,
            f"<{operation}Response xmlns='https://sts.amazonaws.com/doc/2011-06-15/'><{operation}Result><Credentials>"
            f"<AccessKeyId>{known.access_key_id}</AccessKeyId>"
            f"<SecretAccessKey>{known.secret_access_key}</SecretAccessKey>"
            f"<SessionToken>{known.session_token}</SessionToken>"
            f"<Expiration>{text(self.server.expiration())}</Expiration></Credentials>"
            f"<AssumedRoleUser><Arn>{escape(request['RoleArn'])}</Arn><AssumedRoleId>AROA:e2e</AssumedRoleId>"
            f"</AssumedRoleUser></{operation}Result></{operation}Response>",
        )

    @staticmethod
    def denial(operation, request):
        if operation == "AssumeRoleWithWebIdentity":
            return f"Not authorized to perform sts:{operation}"
        user = "arn:aws:iam::123456789012:user/me"
        return f"User: {user} is not authorized to perform: sts:{operation} on resource: {request['RoleArn']}"

    def fault(self, status, code, message):
        self.xml(
            status,
            "<ErrorResponse xmlns='https://sts.amazonaws.com/doc/2011-06-15/'><Error><Type>Sender</Type>"
            f"<Code>{code}</Code><Message>{message}</Message></Error><RequestId>e2e</RequestId></ErrorResponse>",
        )

    def xml(self, status, body):
        self.send(status, body, "text/xml")


class Sources:
    """Each way to have credentials, as files in an empty home and as variables: what a user's machine has of it."""

    profile = "work"

    def __init__(self, home, access):
        self.home = home
        self.access = access

    def file(self, path, contents):
        path = self.home / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(contents)
        return path

    def config(self, **settings):
        """The profile in ~/.aws/config; chosen by the variable that is returned."""
        lines = "".join(f"{name} = {value}\n" for name, value in settings.items())
        self.file(".aws/config", f"[profile {self.profile}]\nregion = us-east-1\n{lines}")
        return {"AWS_PROFILE": self.profile}

    def keys(self, profile, credentials):
        names = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
        lines = "".join(f"{name} = {value}\n" for name, value in zip(names, credentials[:3], strict=True) if value)
        self.file(".aws/credentials", f"[{profile}]\n{lines}")

    def environment(self):
        return {"AWS_REGION": "us-east-1"} | self.access.credentials.environment()

    def shared_file(self):
        self.keys(self.profile, self.access.credentials)
        return self.config()

    def process(self):
        if self.access.mode == ABSENT:
            return self.config(credential_process=self.home / "no-such-program")
        if self.access.mode == REFUSED:
            script = "import sys; print('the vault is locked', file=sys.stderr); sys.exit(1)"
        else:
            expiration = text(self.access.expiration())
            known = self.access.credentials._replace(expiration=expiration).known()
            script = f"import json; print(json.dumps({known | {'Version': 1}!r}))"
        program = self.file("process.py", script)
        return self.config(credential_process=shlex.join([sys.executable, str(program)]))

    def sign_in(self, valid=1, refreshable=False):
        """A token of IAM Identity Center, valid for so many hours, as `aws sso login` leaves it in its cache."""
        session = "company"
        variables = self.config(sso_session=session, sso_account_id="123456789012", sso_role_name="Operator")
        settings = {"sso_start_url": "https://company.awsapps.com/start", "sso_region": "us-east-1"}
        with open(self.home / ".aws/config", "a") as config:
            config.write(f"[sso-session {session}]\n")
            config.writelines(f"{name} = {value}\n" for name, value in settings.items())
        token = {
            "startUrl": settings["sso_start_url"],
            "region": "us-east-1",
            "accessToken": self.access.access_token,
            "expiresAt": text(moment(valid)),
        }
        if refreshable:
            token |= {
                "clientId": "e2e",
                "clientSecret": "client-secret",
                "registrationExpiresAt": text(moment(24)),
                "refreshToken": self.access.refresh_token,
            }
            # What is in the cache is not good any more; what it is renewed to is.
            self.access.access_tokens = set()
        cached = hashlib.sha1(session.encode()).hexdigest()
        if self.access.mode != ABSENT:
            self.file(f".aws/sso/cache/{cached}.json", json.dumps(token))
        services = {"AWS_ENDPOINT_URL_SSO": self.access.endpoint, "AWS_ENDPOINT_URL_SSO_OIDC": self.access.endpoint}
        return variables | services

    def sign_in_without_session(self):
        """The older form, in which the profile has it all."""
        variables = self.sign_in()
        start = "https://company.awsapps.com/start"
        variables |= self.config(
            sso_start_url=start, sso_region="us-east-1", sso_account_id="123456789012", sso_role_name="Operator"
        )
        cache = self.home / ".aws/sso/cache"
        [token] = cache.iterdir()
        token.rename(cache / f"{hashlib.sha1(start.encode()).hexdigest()}.json")
        return variables

    def renewed_sign_in(self):
        return self.sign_in(valid=-1, refreshable=True)

    def expired_sign_in(self):
        return self.sign_in(valid=-1)

    def web_identity(self):
        token = self.home / "web-identity"
        if self.access.mode != ABSENT:
            token.write_text(self.access.web_identity)
        return {
            "AWS_REGION": "us-east-1",
            "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/ci",
            "AWS_WEB_IDENTITY_TOKEN_FILE": str(token),
            "AWS_ENDPOINT_URL_STS": self.access.endpoint,
        }

    def container(self):
        return {
            "AWS_REGION": "us-east-1",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{self.access.endpoint}/container",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": self.access.authorization,
        }

    def instance(self):
        """Its region comes from the metadata as well."""
        return {"AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": self.access.endpoint}

    def role(self, **settings):
        """A role that another profile's keys may take on."""
        self.keys("base", Credentials("AKIABASE", "secret-of-base"))
        variables = self.config(role_arn="arn:aws:iam::123456789012:role/admin", source_profile="base", **settings)
        return variables | {"AWS_ENDPOINT_URL_STS": self.access.endpoint}

    def role_with_second_factor(self):
        return self.role(mfa_serial="arn:aws:iam::123456789012:mfa/me")
