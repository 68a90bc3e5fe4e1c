//! What a node knows of the cluster.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::{status, visit};
use crate::doors::House;
use crate::proto::{self, Node, Partition, StatusRequest, StatusResponse};

#[derive(Clone, Debug)]
pub(super) struct Cluster(pub(super) Arc<House>);

#[tonic::async_trait]
impl proto::cluster_server::Cluster for Cluster {
    async fn status(
        &self,
        request: Request<StatusRequest>,
    ) -> Result<Response<StatusResponse>, Status> {
        let visit = visit(&request);
        visit.allow(&request.into_parts().0.into_headers()).await.map_err(status)?;
        let Self(house) = self;
        house.gate.show().await;
        let board = &house.board;
        let nodes = board.members().into_iter().map(|(node, member)| Node {
            node: node.0,
            host: member.address.ip().to_string(),
            state: format!("{:?}", member.liveness).to_ascii_lowercase(),
            redis_port: member.about.clients.into(),
            lines_port: member.about.lines.into(),
            http_port: member.about.http.into(),
            grpc_port: member.about.grpc.into(),
            redis_cluster_port: member.about.cluster.into(),
        });
        let mut partitions: Vec<_> = board
            .lanes()
            .iter()
            .flat_map(|lane| &lane.groups)
            .map(|facts| Partition {
                partition: facts.group.0,
                leader: facts.leader.map_or(0, |leader| leader.0),
                replicas: board.placement.replicas(facts.group).iter().map(|node| node.0).collect(),
            })
            .collect();
        partitions.sort_unstable_by_key(|partition| partition.partition);
        Ok(Response::new(StatusResponse {
            node: house.node.0,
            replication_factor: board.placement.factor() as u32,
            nodes: nodes.collect(),
            partitions,
        }))
    }
}
