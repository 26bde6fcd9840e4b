"""What an IAM role may do and who may assume it, as its policies say, against what COPY needs.

Only the role's own policies are read: policies of buckets and keys may name the role too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: Who assumes the role of COPY, for a cluster and for a workgroup.
SERVICES = ("redshift.amazonaws.com", "redshift-serverless.amazonaws.com")
#: What COPY does with a bucket and with its objects ("IAM permissions for COPY"); IAM ignores the case.
BUCKET_ACTIONS = {"s3:listbucket": "s3:ListBucket"}
OBJECT_ACTIONS = {"s3:getobject": "s3:GetObject"}
READS = {*BUCKET_ACTIONS, *OBJECT_ACTIONS, "s3:getbucketlocation"}
ONE_KEY = re.compile(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[a-z0-9-]+")

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Role:
    """A role as IAM describes it.

    :param policies: the documents of its policies, by "inline policy <name>" or "attached policy <arn>".
    """

    name: str
    arn: str
    path: str
    tags: Mapping[str, str]
    trust: Document
    policies: Mapping[str, Document]


def read_role(client: Any, name: str) -> Role:
    """The role of that name. Raises the client's NoSuchEntityException if there is none."""
    role = client.get_role(RoleName=name)["Role"]
    policies = {}
    for page in client.get_paginator("list_role_policies").paginate(RoleName=name):
        for policy in page["PolicyNames"]:
            found = client.get_role_policy(RoleName=name, PolicyName=policy)
            policies[f"inline policy {policy}"] = found["PolicyDocument"]
    for page in client.get_paginator("list_attached_role_policies").paginate(RoleName=name):
        for attached in page["AttachedPolicies"]:
            arn = attached["PolicyArn"]
            version = client.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
            found = client.get_policy_version(PolicyArn=arn, VersionId=version)
            policies[f"attached policy {arn}"] = found["PolicyVersion"]["Document"]
    return Role(
        name=name,
        arn=role["Arn"],
        path=role["Path"],
        tags={tag["Key"]: tag["Value"] for tag in role.get("Tags", [])},
        trust=role["AssumeRolePolicyDocument"],
        policies=policies,
    )


def trusted(trust: Document) -> list[str]:
    """Who may assume the role: "Service redshift.amazonaws.com", "AWS arn:…", "anyone"."""
    found = []
    for statement in _allowing(trust):
        principal = statement.get("Principal")
        if principal is None:
            found.append(f"anyone except {statement.get('NotPrincipal')}")
        elif isinstance(principal, str):
            found.append("anyone")
        else:
            found += [f"{kind} {name}" for kind, names in principal.items() for name in _list(names)]
    return found


def conditions(trust: Document) -> str:
    """Of the statements that let somebody assume the role; empty where they have none."""
    found = [statement["Condition"] for statement in _allowing(trust) if "Condition" in statement]
    return ", ".join(json.dumps(condition, sort_keys=True) for condition in found)


def faults(role: Role, buckets: Sequence[str]) -> list[str]:
    """Why the role is not one that Redshift alone assumes, and that only reads these buckets."""
    services = [f"Service {service}" for service in SERVICES]
    who = trusted(role.trust)
    found = [f"{one} may assume it" for one in who if one not in services]
    if services[0] not in who:
        found.append(f"{SERVICES[0]} may not assume it")
    for name, document in role.policies.items():
        found += [f"{name} allows {what}" for what in _beyond(document, buckets)]
    return found + [f"no policy allows {what}" for what in _missing(role.policies.values(), buckets)]


def keys_of(role: Role) -> list[str]:
    """What the role may decrypt with."""
    granted = _granted(role.policies.values())
    return sorted({where for action, where in granted if action == "kms:decrypt"})


def _beyond(document: Document, buckets: Sequence[str]) -> Iterator[str]:
    """What a policy allows that COPY does not need."""
    for statement in _allowing(document):
        resources = _list(statement.get("Resource", []))
        for action in _list(statement.get("Action", [])):
            if bad := [resource for resource in resources if not _is_read(action, resource, buckets)]:
                yield f"{action} on {', '.join(bad)}"
        if "NotAction" in statement:
            yield f"all but {', '.join(_list(statement['NotAction']))} on {', '.join(resources)}"
        if "NotResource" in statement:
            yield f"{', '.join(_list(statement.get('Action', [])))} on all but {statement['NotResource']}"


def _missing(documents: Iterable[Document], buckets: Sequence[str]) -> Iterator[str]:
    granted = _granted(documents)
    for bucket in dict.fromkeys(buckets):
        place = rf"arn:aws[a-z-]*:s3:::{re.escape(bucket)}"
        for actions, pattern in ((BUCKET_ACTIONS, place), (OBJECT_ACTIONS, f"{place}/.*")):
            for lower, action in actions.items():
                if not any(one == lower and re.fullmatch(pattern, where) for one, where in granted):
                    yield f"{action} on s3://{bucket}"


def _granted(documents: Iterable[Document]) -> list[tuple[str, str]]:
    """Each action, in lower case, and each resource that statements allow together."""
    return [
        (action.lower(), resource)
        for document in documents
        for statement in _allowing(document)
        for action in _list(statement.get("Action", []))
        for resource in _list(statement.get("Resource", []))
    ]


def _is_read(action: str, resource: str, buckets: Sequence[str]) -> bool:
    if action.lower() == "kms:decrypt":
        return ONE_KEY.fullmatch(resource) is not None
    names = "|".join(re.escape(bucket) for bucket in buckets)
    return (
        action.lower() in READS
        and re.fullmatch(rf"arn:aws[a-z-]*:s3:::({names})(/.*)?", resource) is not None
    )


def _allowing(document: Document) -> Iterator[Mapping[str, Any]]:
    for statement in _list(document["Statement"]):
        if statement["Effect"] == "Allow":
            yield statement


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
