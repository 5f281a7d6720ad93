"""Signatures of AWS, version 4, as botocore makes them: the other side of those our plugin makes."""

import re
import urllib.parse

import botocore.auth
import botocore.awsrequest
import botocore.credentials

from emulator import REGION

SERVICE = "ssmmessages"


class Upgrade:
    """The head of an HTTP request that opens a data channel."""

    def __init__(self, head):
        request, *fields = head.split("\r\n")
        self.method, self.path_and_query, _ = request.split(" ")
        self.fields = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}

    def signature(self):
        """What Authorization says: the access key's id, the fields that are signed, and the signature."""
        form = (
            rf"AWS4-HMAC-SHA256 Credential=([^/]+)/{self.fields['x-amz-date'][:8]}/{REGION}/{SERVICE}/aws4_request, ?"
            r"SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})"
        )
        found = re.fullmatch(form, self.fields["authorization"])
        assert found, self.fields["authorization"]
        return found[1], found[2].split(";"), found[3]

    def expected_signature(self, credentials):
        """What botocore signs the same request with, at the same moment."""
        _, signed, _ = self.signature()
        fields = {name: self.fields[name] for name in signed}
        url = f"http://{self.fields['host']}{self.path_and_query}"
        request = botocore.awsrequest.AWSRequest(method=self.method, url=url, headers=fields)
        request.context["timestamp"] = self.fields["x-amz-date"]
        signer = botocore.auth.SigV4Auth(known(credentials), SERVICE, REGION)
        to_sign = signer.string_to_sign(request, signer.canonical_request(request))
        return signer.signature(to_sign, request)


def known(credentials):
    return botocore.credentials.Credentials(*credentials[:3])


def presigned(stream_url, credentials):
    """The address of a data channel with its signature, good for a minute."""
    url = urllib.parse.urlsplit(stream_url)
    request = botocore.awsrequest.AWSRequest(method="GET", url=url._replace(scheme="http").geturl())
    botocore.auth.SigV4QueryAuth(known(credentials), SERVICE, REGION, expires=60).add_auth(request)
    return urllib.parse.urlsplit(request.url)._replace(scheme=url.scheme).geturl()
