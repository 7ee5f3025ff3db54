"""An account in moto: a load balancer, two services behind it, a database, a queue, and who may do what."""

import io
import json
import zipfile
from typing import Any, Final

import boto3
from tests.backends.deploys.awsstories import ACCOUNT, REGION

FORGE: Final = {"service": "forge", "Owner": "makers", "environment": "prod"}


def arn(service: str, rest: str) -> str:
    """Return an ARN in the account."""
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{rest}"


class MotoAccount:
    """What the account holds, made piece by piece."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._clients: dict[str, Any] = {}
        self.groups: dict[str, str] = {}
        ec2 = self.client("ec2")
        self.subnets = [each["SubnetId"] for each in ec2.describe_subnets()["Subnets"][:2]]
        self.vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]

    def client(self, service: str) -> Any:
        """Return a client of moto."""
        if service not in self._clients:
            made = boto3.client(service, endpoint_url=self._url, region_name=REGION)  # type: ignore[call-overload]
            self._clients[service] = made
        return self._clients[service]

    def group(self, name: str, *lets_in: tuple[int, str]) -> str:
        """Make a security group that lets others in, by port and by their names."""
        ec2 = self.client("ec2")
        if name not in self.groups:
            made = ec2.create_security_group(GroupName=name, Description=name, VpcId=self.vpc)
            self.groups[name] = made["GroupId"]
        for port, source in lets_in:
            own = {"UserIdGroupPairs": [{"GroupId": self.groups[source]}]} if source in self.groups else {}
            rule = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, **own}
            rule |= {} if own else {"IpRanges": [{"CidrIp": source}]}
            ec2.authorize_security_group_ingress(GroupId=self.groups[name], IpPermissions=[rule])
        return self.groups[name]

    def role(self, name: str, *statements: dict[str, Any], boundary: list[dict[str, Any]] | None = None) -> str:
        """Make a role that may do what statements say: the first by a policy of its own, others by a managed one."""
        iam = self.client("iam")
        more = {"PermissionsBoundary": self._policy(f"{name}-boundary", boundary)} if boundary else {}
        made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Statement": []}), **more)
        iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=_document(statements[:1]))
        if statements[1:]:
            policy = self._policy(f"{name}-more", statements[1:])
            iam.attach_role_policy(RoleName=name, PolicyArn=policy)
        return str(made["Role"]["Arn"])

    def instance(self, name: str, group: str, role: str = "", **tags: str) -> str:
        """Start an instance with a security group and, by a profile, a role."""
        profile = {}
        if role:
            iam = self.client("iam")
            made = iam.create_instance_profile(InstanceProfileName=name)
            iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=role)
            profile = {"IamInstanceProfile": {"Arn": made["InstanceProfile"]["Arn"]}}
        told = [{"Key": key, "Value": value} for key, value in {"Name": name, **tags}.items()]
        run = self.client("ec2").run_instances(
            ImageId="ami-12c6146b",
            MinCount=1,
            MaxCount=1,
            SubnetId=self.subnets[0],
            SecurityGroupIds=[self.groups[group]],
            TagSpecifications=[{"ResourceType": "instance", "Tags": told}],
            **profile,
        )
        return str(run["Instances"][0]["InstanceId"])

    def ecs_service(self, name: str, group: str, role: str, target_group: str) -> None:
        """Run a service in the cluster prod."""
        ecs = self.client("ecs")
        ecs.create_cluster(clusterName="prod")
        container = {"name": name, "image": f"{name}:v1", "memory": 256}
        ecs.register_task_definition(family=name, taskRoleArn=role, containerDefinitions=[container])
        network = {"subnets": self.subnets, "securityGroups": [self.groups[group]]}
        ecs.create_service(
            cluster="prod",
            serviceName=name,
            taskDefinition=name,
            desiredCount=1,
            networkConfiguration={"awsvpcConfiguration": network},
            loadBalancers=[{"targetGroupArn": target_group, "containerName": name, "containerPort": 8080}],
        )

    def target_group(self, name: str, *instances: str) -> str:
        """Make a target group of instances."""
        elb = self.client("elbv2")
        made = elb.create_target_group(Name=name, Protocol="HTTP", Port=8080, VpcId=self.vpc, TargetType="instance")
        group = str(made["TargetGroups"][0]["TargetGroupArn"])
        if instances:
            elb.register_targets(TargetGroupArn=group, Targets=[{"Id": each} for each in instances])
        return group

    def balancer(self, name: str, group: str, default: str, nothing_to: str, **paths: str) -> None:
        """Make a load balancer that sends paths to target groups, and all else to one, but to another by weight 0."""
        elb = self.client("elbv2")
        made = elb.create_load_balancer(Name=name, Subnets=self.subnets, SecurityGroups=[self.groups[group]])
        weights = [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in ((default, 1), (nothing_to, 0))]
        forward = {"Type": "forward", "ForwardConfig": {"TargetGroups": weights}}
        balancer = made["LoadBalancers"][0]["LoadBalancerArn"]
        listener = elb.create_listener(LoadBalancerArn=balancer, Protocol="HTTP", Port=80, DefaultActions=[forward])
        for number, (path, target) in enumerate(paths.items(), start=1):
            elb.create_rule(
                ListenerArn=listener["Listeners"][0]["ListenerArn"],
                Priority=number,
                Conditions=[{"Field": "path-pattern", "PathPatternConfig": {"Values": [f"/{path}/*"]}}],
                Actions=[{"Type": "forward", "TargetGroupArn": target}],
            )

    def database(self, name: str, group: str) -> None:
        """Make a database with a security group."""
        self.client("rds").create_db_instance(
            DBInstanceIdentifier=name,
            DBInstanceClass="db.t3.micro",
            Engine="postgres",
            MasterUsername="robots",
            MasterUserPassword="hunter2-and-more",
            VpcSecurityGroupIds=[self.groups[group]],
        )

    def queue(self, name: str, **tags: str) -> None:
        """Make a queue."""
        self.client("sqs").create_queue(QueueName=name, tags=tags)

    def function(self, name: str, role: str, consumes: str) -> None:
        """Make a function that is given what comes to a queue."""
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w") as file:
            file.writestr("main.py", "def handle(event, context): pass")
        functions = self.client("lambda")
        functions.create_function(
            FunctionName=name,
            Runtime="python3.12",
            Role=role,
            Handler="main.handle",
            Code={"ZipFile": code.getvalue()},
        )
        functions.create_event_source_mapping(FunctionName=name, EventSourceArn=arn("sqs", consumes))

    def _policy(self, name: str, statements: Any) -> str:
        made = self.client("iam").create_policy(PolicyName=name, PolicyDocument=_document(statements))
        return str(made["Policy"]["Arn"])


def allow(action: Any, resource: Any, effect: str = "Allow", **more: Any) -> dict[str, Any]:
    """Return a statement of a policy."""
    return {"Effect": effect, "Action": action, "Resource": resource, **more}


def _document(statements: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
